"""Methods of federated training: one file each, its name is the method's."""
