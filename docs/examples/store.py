from dataclasses import asdict

import pandas as pd

import metapipe

with metapipe.TaskStore.open("sqlite:///.metapipe/metapipe.db") as store:
    frame = pd.DataFrame(map(asdict, store.runs("algorithm=protonet")))
    for group in store.groups(["algorithm", "training.lr"]):
        print(group.group, group.figures["val_accuracy"], group.differs)
