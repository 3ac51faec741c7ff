"""Who may be asked: switches and their audit log."""
