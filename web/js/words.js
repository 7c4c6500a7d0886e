// The words of this pack in the frontend's language, from locales/ as the server hands it out; English where there are none.
import { app } from '../../../scripts/app.js'
import { api } from '../../../scripts/api.js'

// Waited for, so that the first node finds them.
const answer = await api.fetchApi('/i18n').catch(() => undefined)
const languages = answer?.ok ? await answer.json().catch(() => ({})) : {}

const own = () => languages[app.extensionManager?.setting?.get('Comfy.Locale')]

export const word = (english) => own()?.animaFastTrain?.[english] ?? english
export const wordsOfNode = (type) => own()?.nodeDefs?.[type] ?? {}

// What the server says of a run, such as "step 3 of 300, measuring what is learned": each part is one text, whatever its numbers.
const JOINTS = /(, | while )/
export const phrase = (english) =>
  english
    .split(JOINTS)
    .map((part) => {
      const numbers = part.match(/\d+/g) ?? []
      return word(part.replace(/\d+/g, '#')).replace(/#/g, () => numbers.shift())
    })
    .join('')
