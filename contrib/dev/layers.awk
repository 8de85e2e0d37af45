# Fails when a file includes a header from a room it may not see.
# usage: awk -f contrib/dev/layers.awk contrib/dev/layers.txt FILES...

# The innermost room that holds `path`; "" when none does.
function room(path,    r, best) {
    for (r in may) {
        if (index(path, r "/") == 1 && length(r) > length(best)) {
            best = r
        }
    }
    return best
}

FNR == NR {
    sub(/#.*/, "")
    if (NF) {
        from = $1
        $1 = from # Rebuilds $0 with single blanks.
        may[from] = " " $0 " "
    }
    next
}

FNR == 1 && room(FILENAME) == "" {
    printf "%s: is in no room of the map\n", FILENAME
    bad = 1
}

/^#[ \t]*include[ \t]*"/ {
    split($0, part, "\"")
    from = room(FILENAME)
    to = room(part[2])
    if (to == "") {
        printf "%s:%d: \"%s\" is in no room; paths begin at the top\n",
               FILENAME, FNR, part[2]
        bad = 1
    } else if (index(may[from], " " to " ") == 0) {
        printf "%s:%d: %s may not include %s\n", FILENAME, FNR, from, part[2]
        bad = 1
    }
}

END { exit bad }
