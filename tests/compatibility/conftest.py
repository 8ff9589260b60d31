"""What versions wrote is read by the tests beside it; none of it is a test, or code of today."""

collect_ignore_glob = ["[0-9]*"]
