"""What a study will take, before anything is spent: trials, tokens, time, money, memory, disk."""
