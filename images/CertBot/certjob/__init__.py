"""certjob: domains in, certificates served by the proxy out. Standard library, certbot, and its cryptography."""
