"""Searches over a compiled grammar."""

if __name__ != "dslc.search":
    raise ImportError("import dslc.search, not search")

from dslc.search.outcome import Candidate as Candidate
from dslc.search.outcome import Context as Context
from dslc.search.outcome import Outcome as Outcome
from dslc.search.outcome import Strategy as Strategy
from dslc.search.outcome import Task as Task
from dslc.search.progress import Progress as Progress
from dslc.search.result import Record as Record
from dslc.search.result import SearchResult as SearchResult
from dslc.search.result import open_run as open_run
from dslc.search.run import resume as resume
from dslc.search.run import search as search
