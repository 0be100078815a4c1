"""What people's answers teach: the model of a collection, and the precision that it keeps."""
