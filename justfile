# Recipes run in the active environment. `just` alone lists them.

[private]
default:
    @just --list

# All that has to pass, as CI runs it: in a new environment
check:
    bash .ci/run

# The suite, or part of it: just test tests/test_filters.py
test *arguments:
    pytest {{ arguments }}

# Style and types
lint:
    ruff check .
    ruff format --check .
    mypy

# Mend what can be mended
fix:
    ruff check --fix .
    ruff format .

# The site, in build/site; any warning is an error
docs:
    sphinx-build --fail-on-warning docs build/site

# The suite with coverage: slower
coverage *arguments:
    pytest --cov --cov-report=term --cov-report=html:build/coverage {{ arguments }}

# What an iteration of each algorithm costs
bench *arguments:
    python benchmarks/cost.py {{ arguments }}

# Whether the lowest versions that pyproject.toml allows are enough
lowest *arguments:
    bash .ci/lowest {{ arguments }}

# Renew requirements.lock from a new environment
lock:
    bash .ci/lock

# Build a release and try it, without publishing anything
release:
    bash .ci/release
