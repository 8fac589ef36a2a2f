"""Episodes from files, rows and arrays: what data sets are made of.

A door for plugin authors: import from here, files below may move.
"""

from ..cache import cache_dir
from ..printable import how_many, one_line
from .acting import Act, action_noise, mean_returns, play, random_returns
from .array_source import ArraySource, GroupSource
from .augmented_source import Augmentation, AugmentedSource
from .bank import Bank, Bytes, identity, open_bank
from .cell import is_missing
from .class_episodes import (
    choose_items,
    digest,
    labels_of,
    require_items,
    require_one_way,
)
from .column import require_no_counter
from .download import download, download_all
from .feature_encoder import FeatureEncoder, Features
from .feature_source import FeatureSource, feature_item
from .file import UNREADABLE, File, read_file
from .files import is_archive, walk
from .image_encoder import Fit, ImageEncoder, Moments, unit_floats
from .image_source import ImageClass, ImageSource, with_rotations
from .labelled import Labelled, labelled
from .leftovers import is_leftover
from .mixed_source import MixedSource
from .model_folder import folder_digest
from .names import nearly_one, normal_name, readable_name
from .normalised_source import NormalisedSource
from .passed_over import first_few
from .picture_files import picture_suffixes
from .resized_source import ResizedSource, resize
from .row import Row, column_name
from .row_encoder import TableEncoder
from .sampling import choose, fixed_order, integers, keys, normal, uniform, words
from .sentence_encoder import SentenceEncoder
from .table_files import find_tables, read_rows
from .targets import read_targets
from .text_encoders import TextEncoder, TfidfEncoder
from .unequal import unequal

__all__ = [
    "UNREADABLE",
    "Act",
    "ArraySource",
    "Augmentation",
    "AugmentedSource",
    "Bank",
    "Bytes",
    "FeatureEncoder",
    "FeatureSource",
    "Features",
    "File",
    "Fit",
    "GroupSource",
    "ImageClass",
    "ImageEncoder",
    "ImageSource",
    "Labelled",
    "MixedSource",
    "Moments",
    "NormalisedSource",
    "ResizedSource",
    "Row",
    "SentenceEncoder",
    "TableEncoder",
    "TextEncoder",
    "TfidfEncoder",
    "action_noise",
    "cache_dir",
    "choose",
    "choose_items",
    "column_name",
    "digest",
    "download",
    "download_all",
    "feature_item",
    "find_tables",
    "first_few",
    "fixed_order",
    "folder_digest",
    "how_many",
    "identity",
    "integers",
    "is_archive",
    "is_leftover",
    "is_missing",
    "keys",
    "labelled",
    "labels_of",
    "mean_returns",
    "nearly_one",
    "normal",
    "normal_name",
    "one_line",
    "open_bank",
    "picture_suffixes",
    "play",
    "random_returns",
    "read_file",
    "read_rows",
    "read_targets",
    "readable_name",
    "require_items",
    "require_no_counter",
    "require_one_way",
    "resize",
    "unequal",
    "uniform",
    "unit_floats",
    "walk",
    "with_rotations",
    "words",
]
