/* cmd_store.h - `muster store`: one member of the store, with etcd's flags. */
#pragma once

int cmd_store(int argc, char **argv);
