#pragma once

/* muster query list | read | apply | delete | execute | explain */
int cmd_query(int argc, char **argv);
