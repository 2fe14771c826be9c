"""The laser clearinghouse: requests that go there, messages that come back, and what they allow now."""
