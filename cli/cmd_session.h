#pragma once

/* `muster session`: sessions of locks. Returns an exit code. */
int cmd_session(int argc, char **argv);
