#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when a file of src/ does not include what it needs. Builds join the files of a folder, where one file's
includes hide that another has forgotten them; and to compile each by itself takes twice as long as this.

Here files are joined where nothing can be hidden: behind one that includes, directly or not, no header that they do
not include as well. clang needs less time than gcc, and only its errors count: warnings are for other checks. Files that
were good are not compiled again until one of them, or a header of ours that they include, or a package has changed.
"""

import concurrent.futures
import os
import pathlib
import subprocess
import sys

import good_files
from good_files import included


def flags():
    folders = subprocess.run(["apxs", "-q", "EXP_INCLUDEDIR", "APR_INCLUDEDIR", "APU_INCLUDEDIR"], check=True,
                             capture_output=True, text=True).stdout.strip().split(";;")
    return ["-std=c++20", "-w", "-fPIC", "-pthread", "-D_GNU_SOURCE", '-DWEBSOCKET_VERSION=""', "-I.", "-Isrc",
            "-Iinclude", *(word for folder in dict.fromkeys(folders) for word in ("-isystem", folder))]


def chains(files):
    """Lists of files, as few as possible, in which each includes all that the one before it does: a largest matching
    of files with files that may follow them.
    """
    # Of two that include the same, the first in the alphabet is followed by the other, never the other way round.
    followers = {file: [other for other in files if included(file) < included(other)
                        or (included(file) == included(other) and file < other)] for file in files}
    before = {}

    def find_follower(file, tried):
        for other in followers[file]:
            if other not in tried:
                tried.add(other)
                if other not in before or find_follower(before[other], tried):
                    before[other] = file
                    return True
        return False

    for file in files:
        find_follower(file, set())
    after = {file: other for other, file in before.items()}
    for file in files:
        if file not in before:
            chain = [file]
            while chain[-1] in after:
                chain.append(after[chain[-1]])
            yield chain


def complaints(chain, options):
    text = "".join(f'#include "{file}"\n' for file in chain)
    note = good_files.Note(good_files.what_decides("clang++", __file__), " ".join(options), text, *good_files.texts(chain))
    if note.is_there():
        return ""
    done = subprocess.run(["clang++", *options, "-fsyntax-only", "-x", "c++", "-"], input=text, capture_output=True,
                          text=True)
    if done.returncode != 0:
        return f"{', '.join(chain)}: do not include what they need\n{done.stderr}"
    note.write()
    return ""


files = sys.argv[1:] or sorted(map(str, pathlib.Path("src").glob("**/*.cpp")))
options = flags()
with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
    found = "".join(pool.map(lambda chain: complaints(chain, options), list(chains(files))))
print(found, end="")
sys.exit(1 if found else 0)
