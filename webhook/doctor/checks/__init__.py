"""One check a file: its function `findings` takes the lists of a cluster and yields what it finds in them."""
