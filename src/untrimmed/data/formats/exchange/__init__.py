"""The exchange with annotation tools, both ways: a module for each format, and a common form between them.

`timeline` has the common form, `formats` lists the formats, `opening` reads them and finds out which one a file is of,
`holding` says what each of them cannot hold, and `conversion` puts all of it together.
"""
