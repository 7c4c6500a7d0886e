"""The measurements that decide what is on by default, one file each."""
