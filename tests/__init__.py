"""The HTTPS server, the golden cases and the edges of the policy, as an admin would tell them."""
