"""A trainer that takes its time until it has a handler, as imports of large packages do."""

import time

import plain

time.sleep(60)
plain.main()
