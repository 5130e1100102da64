"""How settings were searched, selected, and how hard each side was tried."""
