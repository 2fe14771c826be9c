"""What a recording becomes for other programs: tables (CSV, Parquet), signals (SigMF), tracking data (CCSDS TDM)."""

from controller.errors import BoresightError


class ExportError(BoresightError):
    """A recording cannot be exported; the message names the file and says what to do."""
