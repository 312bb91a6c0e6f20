// HTTP in a container, in a network that is there; uploads may take half an hour. The image is pulled with a password.
using '../main.bicep'

var below = '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/network'
var network = '${below}/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets'

param environmentName = 'registry'
param location = 'westeurope'
param shape = 'container'
param access = 'private'
param subnets = {
  functions: '${network}/registry-functions'
  containers: '${network}/registry-containers'
  endpoints: '${network}/endpoints'
}
param zonesGroup = below
param image = 'images.example.net/registry:0.1.0'
param imageIdentity = '${below}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-pull'
param imageUser = 'puller'
param imageUserVault = 'https://kv-images.vault.azure.net/secrets/puller'
param requestMinutes = 30
param operators = ['00000000-0000-0000-0000-0000000000aa']
