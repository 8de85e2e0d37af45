#include "base/io/owner.h"

#include <sys/socket.h>
#include <sys/types.h>

#include "base/io/stream.h"

bool owner_read(const struct stream *stream, struct owner *out_owner)
{
    struct ucred who;
    socklen_t len = sizeof(who);
    gid_t others[LIMIT_ACL_GROUPS];
    uv_os_fd_t fd;

    if (stream->uv.handle.type != UV_NAMED_PIPE ||
        uv_fileno(&stream->uv.handle, &fd) ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len)) {
        return false;
    }
    out_owner->uid = who.uid;
    out_owner->groups[0] = who.gid;
    out_owner->groups_count = 1;
    len = sizeof(others);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, others, &len) == 0) {
        for (size_t i = 0; i < len / sizeof(others[0]); i++) {
            out_owner->groups[out_owner->groups_count++] = others[i];
        }
    }
    return true;
}
