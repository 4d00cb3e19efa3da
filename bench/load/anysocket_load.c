/* Load generator for anysocket servers that echo, with plain links (see anysocket_peers.h). */
#include "anysocket_peers.h"

int main(int argc, char **argv)
{
    return run_anysocket_peers(argc, argv, NULL);
}
