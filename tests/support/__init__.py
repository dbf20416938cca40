"""What several tests share: small logs, token files, the command line, processes, and studies."""
