"""From measured numbers to the verdict, its words and what it hangs on."""
