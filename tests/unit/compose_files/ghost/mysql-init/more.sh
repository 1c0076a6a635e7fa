#!/bin/sh
# further databases, at the first start
