"""What training changed of the general abilities."""
