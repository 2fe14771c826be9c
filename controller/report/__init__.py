"""The report of a pass: one HTML file made from a recording, readable without a network."""

from controller.report.page import ReportError, write_report

__all__ = ["ReportError", "write_report"]
