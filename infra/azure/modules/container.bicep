metadata description = '''
The registry's HTTP functions in a container, several replicas behind the ingress of Container Apps. A replica that is to
end is given as long as the longest request, and a little more, before it is killed.
'''

import { Domain, hostOf, nameOf } from 'checks.bicep'

param name string
param location string
param tags object
param identityId string
param environmentId string

@description('Domain of the environment, below which the app is.')
param defaultDomain string

param image string

@description('Identity that pulls the image; none where anybody may.')
param imageIdentity string

@description('Who pulls it with a password, if not the identity itself.')
param imageUser string

@description('Secret of a Key Vault that holds the password, read by the identity.')
param imageUserVault string

param minReplicas int
param maxReplicas int

@description('How many minutes a request may take.')
param requestMinutes int

param settings object
param domains Domain[]

@description('Certificates of the domains, in their order.')
param certificateIds string[]

var host = '${name}.${defaultDomain}'
var pulled = nameOf(image) == toLower(host)
  ? fail('image: ${image} comes from this deployment, which could not start from itself after an outage: push it to another registry first')
  : image

var hasPassword = !empty(imageUser)
var secretName = 'image-password'
// The host cuts requests off after four fifths of its drain, and the platform kills after ten minutes at the latest.
var drainSeconds = min(requestMinutes * 75, 540)
// A port for probes alone: they are answered there while clients take every place at the other.
var healthPort = 8081
var identities = union({ '${identityId}': {} }, empty(imageIdentity) ? {} : { '${imageIdentity}': {} })

var registries = empty(imageIdentity)
  ? []
  : [
      hasPassword
        ? { server: hostOf(image), username: imageUser, passwordSecretRef: secretName }
        : { server: hostOf(image), identity: imageIdentity }
    ]

resource app 'Microsoft.App/containerApps@2025-07-01' = {
  name: name
  location: location
  tags: tags
  identity: { type: 'UserAssigned', userAssignedIdentities: identities }
  properties: {
    environmentId: environmentId
    workloadProfileName: 'Consumption'
    configuration: {
      activeRevisionsMode: 'Single'
      ingress: {
        external: true // to what the environment is: the world, or its network
        targetPort: 8080
        transport: 'http' // the host speaks no other
        allowInsecure: false
        customDomains: [
          for (domain, index) in domains: {
            name: domain.name
            bindingType: 'SniEnabled'
            certificateId: certificateIds[index]
          }
        ]
      }
      registries: registries
      secrets: hasPassword ? [{ name: secretName, keyVaultUrl: imageUserVault, identity: imageIdentity }] : []
    }
    template: {
      terminationGracePeriodSeconds: drainSeconds + 60
      containers: [
        {
          name: 'registry'
          image: pulled
          args: ['--health-port', string(healthPort)]
          resources: { cpu: json('1.0'), memory: '2Gi' }
          env: map(
            items(union(settings, {
              REGISTRY_DRAIN_SECONDS: string(drainSeconds)
            })),
            setting => { name: setting.key, value: setting.value }
          )
          probes: [
            {
              type: 'Startup'
              httpGet: { path: '/health/live', port: healthPort }
              periodSeconds: 2
              failureThreshold: 30
            }
            {
              type: 'Liveness'
              httpGet: { path: '/health/live', port: healthPort }
              periodSeconds: 10
              failureThreshold: 6
            }
            {
              type: 'Readiness'
              httpGet: { path: '/health/ready', port: healthPort }
              periodSeconds: 5
              failureThreshold: 3
            }
          ]
        }
      ]
      scale: {
        minReplicas: minReplicas
        maxReplicas: maxReplicas
        rules: [
          {
            name: 'requests'
            http: { metadata: { concurrentRequests: '50' } }
          }
        ]
      }
    }
  }
}

output host string = host
