"""What the verbs of `edgesdk.api` do, one file each; nothing here is public."""
