"""Which PoP or CDN should serve a viewer, as a plain engine with a small service around it.

Path of a steering request:
1. a player asks GET /steering/v1/manifest.json with `_HLS_pathway` and `_HLS_throughput` (HLS content steering)
2. `routes` reads the viewer's region and tier from the query
3. `fleet_store` holds the pathways: our PoPs as the control plane reports them, CDNs from the settings
4. `policy.order` sorts them: own PoP near by, then the CDN the policy names, then the rest by distance; sick ones last
5. `steering` renders the manifest, HLS or DASH
"""
