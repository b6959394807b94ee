"""A run folder as one page of HTML that needs nothing but itself."""

from spp_keras.report.report_writer import write_report as write_report
