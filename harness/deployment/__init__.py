"""The winner in use: asked as it was scored, served, and what is served held against its scores."""
