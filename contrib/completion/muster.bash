# bash completion for muster. Install as
#     /usr/share/bash-completion/completions/muster
# or: . contrib/completion/muster.bash
#
# Commands and flags come from --help itself, so they are never out of date;
# services and hosts come from the running agent, if there is one.

# PROGRAM COMMAND...: its flags.
_muster_words() {
    "$@" --help 2>/dev/null | awk '/^  --/ { print $1 }'
}

_muster() {
    local program=${COMP_WORDS[0]}
    local current=${COMP_WORDS[COMP_CWORD]}
    local previous=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]}
    COMPREPLY=()

    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$("$program" help 2>/dev/null |
            awk '/^  [a-z]/ { print $1 }') help" -- "$current")
        return
    fi
    if [[ $current == -* ]]; then
        local words=("$command")
        [ "$command" = ctl ] && words=("${COMP_WORDS[@]:1:3}")
        mapfile -t COMPREPLY < <(compgen -W \
            "$(_muster_words "$program" "${words[@]}")" -- "$current")
        return
    fi
    case $previous in
    --data-dir | --services | --config | --socket | --line-socket | --*-file | --store-ca* | \
        --store-cert | --store-key | --cacert | --cert | --key | --token-file)
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    esac
    case $command in
    guard)
        mapfile -t COMPREPLY < <(compgen -W "on off auto" -- "$current")
        ;;
    force-leave)
        mapfile -t COMPREPLY < <(compgen -W "$("$program" nodes \
            2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$current")
        ;;
    lookup)
        mapfile -t COMPREPLY < <(compgen -W "$("$program" services \
            2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$current")
        ;;
    services | nodes)
        mapfile -t COMPREPLY < <(compgen -W "$("$program" "$command" \
            2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$current")
        ;;
    ctl)
        case $COMP_CWORD in
        2) mapfile -t COMPREPLY < <(compgen -W "$("$program" ctl --help |
            awk '/^  [a-z]+ [a-z]+  / { print $1 }' | sort -u)" -- "$current") ;;
        3) mapfile -t COMPREPLY < <(compgen -W "$("$program" ctl --help |
            awk -v group="$previous" '/^  [a-z]+ [a-z]+  / && $1 == group {
                print $2 }')" -- "$current") ;;
        *) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
        esac
        ;;
    acl)
        case $COMP_CWORD in
        2) mapfile -t COMPREPLY < <(compgen -W "bootstrap policy token" \
            -- "$current") ;;
        3) mapfile -t COMPREPLY < <(compgen -W \
            "create read update delete list clone" -- "$current") ;;
        esac
        ;;
    query)
        if [ "$COMP_CWORD" -eq 2 ]; then
            mapfile -t COMPREPLY < <(compgen -W \
                "list read apply delete execute explain" -- "$current")
        elif [ "$previous" = apply ]; then
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
        fi
        ;;
    session)
        if [ "$COMP_CWORD" -eq 2 ]; then
            mapfile -t COMPREPLY < <(compgen -W \
                "list read create renew destroy" -- "$current")
        elif [ "$COMP_CWORD" -eq 3 ]; then
            mapfile -t COMPREPLY < <(compgen -W "$("$program" session list \
                2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$current")
        fi
        ;;
    kv)
        if [ "$COMP_CWORD" -eq 2 ]; then
            mapfile -t COMPREPLY < <(compgen -W \
                "get put delete export import" -- "$current")
        else
            mapfile -t COMPREPLY < <(compgen -W "$("$program" kv get --keys \
                "$current" 2>/dev/null)" -- "$current")
        fi
        ;;
    catalog)
        mapfile -t COMPREPLY < <(compgen -W "datacenters nodes services" \
            -- "$current")
        ;;
    validate | register)
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        ;;
    esac
}

complete -F _muster muster
