"""A report's document as HTML, Markdown, PDF, JSON and terminal text."""
