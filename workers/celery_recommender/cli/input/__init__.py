"""What commands read: files, columns, settings of collections; and how they send them."""
