"""A property of an INDI driver, and its messages with the words and white space of libindi 1.9.9."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape, quoteattr


@dataclass
class Property:
    """A vector of `kind` Text, Number or Switch; `values` has the text of each element, `ranges` those of numbers."""

    kind: str
    name: str
    group: str
    values: dict[str, str]
    perm: str = "rw"
    rule: str = "OneOfMany"
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    state: str = "Idle"

    def defined(self, device: str, utc_ns: int) -> str:
        """The message that defines it."""
        rule = f' rule="{self.rule}"' if self.kind == "Switch" else ""
        about = f'label="{self.name.title()}" group="{self.group}" state="{self.state}" perm="{self.perm}"{rule}'
        return self._told("def", f'{about} timeout="60"', device, utc_ns)

    def update(self, device: str, utc_ns: int, message: str = "") -> str:
        """The message that tells its present values."""
        words = f" message={quoteattr(message)}" if message else ""
        return self._told("set", f'state="{self.state}" timeout="60"', device, utc_ns, words)

    def switch(self, name: str) -> bool:
        """Have this element on, and by its rule no other; False where there is none."""
        self.values = dict.fromkeys(self.values, "Off")
        if name in self.values:
            self.values[name] = "On"
        return name in self.values

    def in_range(self, name: str, value: float) -> bool:
        """A number is allowed for an element."""
        low, high = self.ranges[name]
        return low <= value <= high

    def _told(self, word: str, attributes: str, device: str, utc_ns: int, words: str = "") -> str:
        inner = "def" if word == "def" else "one"
        head = f'<{word}{self.kind}Vector device={quoteattr(device)} name="{self.name}" {attributes}'
        elements = "".join(
            f'    <{inner}{self.kind} name="{name}"{self._about(name) if word == "def" else ""}>\n'
            f"{escape(text)}\n    </{inner}{self.kind}>\n"
            for name, text in self.values.items()
        )
        return f'{head} timestamp="{timestamp(utc_ns)}"{words}>\n{elements}</{word}{self.kind}Vector>\n'

    def _about(self, name: str) -> str:
        label = f' label="{name.title()}"'
        if self.kind != "Number":
            return label
        low, high = self.ranges[name]
        return f'{label} format="%g" min="{low:.20g}" max="{high:.20g}" step="0"'


def message(device: str, utc_ns: int, text: str) -> str:
    """Words for whoever reads the log."""
    return f'<message device={quoteattr(device)} timestamp="{timestamp(utc_ns)}" message={quoteattr(text)}/>\n'


def deleted(device: str, utc_ns: int, name: str) -> str:
    """A property is there no more."""
    return f'<delProperty device={quoteattr(device)} name="{name}" timestamp="{timestamp(utc_ns)}"/>\n'


def timestamp(utc_ns: int) -> str:
    """Whole seconds of UTC, as INDI writes them."""
    now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=utc_ns // 1000)
    return f"{now:%Y-%m-%dT%H:%M:%S}"
