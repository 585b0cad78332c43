"""What programs of others read and write: keys, Open311, bulk data, webhooks."""
