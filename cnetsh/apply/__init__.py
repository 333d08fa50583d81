"""Steps run, noted in a journal, undone and changed: journal, run, batch, up, undoing, rollback."""
