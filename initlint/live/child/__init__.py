"""The child process that builds models: started, guarded, spoken to, ended."""
