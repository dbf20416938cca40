"""Files and folders: atomic writes, self-describing folders, locks, downloads, and the progress of long jobs."""
