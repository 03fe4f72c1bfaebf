"""Outlines and names of countries, made from the data of the wheel geo-intel-offline (Natural Earth 10m).

Natural Earth is in the public domain and draws borders as they are held de facto. Its outlines are far finer
than a map on a page needs: they are simplified once per version of the wheel and kept in the cache folder.
"""
