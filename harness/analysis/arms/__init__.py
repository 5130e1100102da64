"""What each arm scored, costs and answered, and which arms meet."""
