#!/bin/sh
# Answers git, so that the token is in no URL and no argument.
case $1 in
    Username*) echo git ;;
    *) printenv TOKEN ;;
esac
