"""A plan or a network, shown: text, table, script, picture. Nothing here looks at a target."""
