"""The bodies of the commands: flags in, calls to the rooms below, text out."""
