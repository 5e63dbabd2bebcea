# SPDX-License-Identifier: PostgreSQL
"""Prints an SQL script of tables that zstd cannot make smaller: noise.py MIB | psql -X -d DATABASE

The database and the client have to be SQL_ASCII: the text is any byte but those that COPY gives a meaning to.
"""

import os
import sys

TABLES = 4
ROW_BYTES = 8000
USABLE = bytes(byte for byte in range(0x20, 0x100) if byte not in b"\\\x7f")
BYTES = bytes(USABLE[value % len(USABLE)] for value in range(0x100))


def main():
    rows = int(sys.argv[1]) * 1024 * 1024 // ROW_BYTES // TABLES
    out = sys.stdout.buffer
    for table in range(TABLES):
        out.write(b"CREATE TABLE noise_%d (id int PRIMARY KEY, bytes text NOT NULL);\n" % table)
        out.write(b"ALTER TABLE noise_%d ALTER bytes SET STORAGE EXTERNAL;\n" % table)
        out.write(b"COPY noise_%d FROM stdin;\n" % table)
        for row in range(rows):
            out.write(b"%d\t%s\n" % (row, os.urandom(ROW_BYTES).translate(BYTES)))
        out.write(b"\\.\n")
    out.write(b"VACUUM (ANALYZE);\n")


if __name__ == "__main__":
    main()
