#include "base/io/grpc_code.h"

const char *grpc_code_name(enum grpc_code code)
{
    static const char *const names[] = {
        "OK",
        "Canceled",
        "Unknown",
        "InvalidArgument",
        "DeadlineExceeded",
        "NotFound",
        "AlreadyExists",
        "PermissionDenied",
        "ResourceExhausted",
        "FailedPrecondition",
        "Aborted",
        "OutOfRange",
        "Unimplemented",
        "Internal",
        "Unavailable",
        "DataLoss",
        "Unauthenticated",
    };

    if ((unsigned)code >= sizeof(names) / sizeof(names[0])) {
        return "Unknown";
    }
    return names[code];
}
