"""What a run came to: its figures as data, and one HTML page of them."""

from dslc.search.report.data import report_data as report_data
from dslc.search.report.page import write_report as write_report
